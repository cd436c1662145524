"""web3's many exceptions as our few reasons."""

from collections.abc import Iterator
from contextlib import contextmanager
from json import JSONDecodeError

from requests import RequestException
from web3.exceptions import (
    BadFunctionCallOutput,
    BadResponseFormat,
    ContractLogicError,
    TimeExhausted,
    TransactionNotFound,
    Web3RPCError,
)

from concordat.reasons import Reason, Refused

REVERTED = "execution reverted"


@contextmanager
def chain_errors(*, sending: bool = False) -> Iterator[None]:
    """Raises `Refused`: CHAIN_REVERTED, CHAIN_WRONG or CHAIN_UNAVAILABLE, in place of what web3 raises inside.

    An error answer of the node is about the transaction when `sending`, and about the node itself when not. web3's
    `TransactionNotFound` passes through, as it is an answer.
    """
    try:
        yield
    except TransactionNotFound:
        raise
    except ContractLogicError as error:
        words = (error.message or REVERTED).removeprefix(REVERTED).lstrip(": ")
        raise Refused(Reason.CHAIN_REVERTED, detail=words or "the contract gave no reason") from error
    except BadFunctionCallOutput as error:
        raise Refused(Reason.CHAIN_WRONG, detail="the address does not answer like the contract") from error
    except Web3RPCError as error:
        reason = Reason.CHAIN_REVERTED if sending else Reason.CHAIN_UNAVAILABLE
        raise Refused(reason, detail=_words(error)) from error
    except (RequestException, BadResponseFormat, JSONDecodeError, TimeExhausted) as error:
        raise Refused(Reason.CHAIN_UNAVAILABLE, detail=type(error).__name__) from error


def _words(error: Web3RPCError) -> str:
    answer = (error.rpc_response or {}).get("error")
    return answer["message"] if isinstance(answer, dict) else str(answer or error.message)
