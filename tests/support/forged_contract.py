"""What creates a contract with its genuine code, in a state that its own constructor never made."""

import vyper
from eth_utils.crypto import keccak
from vyper.compiler import compile_code

from ledger.contracts import artefact, build


def forged(name: str, state: dict[str, int], keyed: dict[tuple[str, str], int] | None = None) -> bytes:
    """Creation code that sets variables, with `keyed` entries of mappings by address, and returns the runtime code."""
    source = (build.HERE / f"{name}.vy").read_text(encoding="utf-8")
    layout = compile_code(source, output_formats=["layout"])["layout"]["storage_layout"]
    assert vyper.__version__ == "0.4.3"
    slots = {layout[variable]["slot"]: value for variable, value in state.items()}
    for (variable, key), value in (keyed or {}).items():
        slots[_entry(layout[variable]["slot"], key)] = value
    set_state = b"".join(
        b"\x7f" + value.to_bytes(32, "big") + b"\x7f" + slot.to_bytes(32, "big") + b"\x55"
        for slot, value in slots.items()
    )
    runtime = artefact(name).runtime
    size = len(runtime).to_bytes(4, "big")
    # PUSH4 size, PUSH4 offset, PUSH1 0, CODECOPY, PUSH4 size, PUSH1 0, RETURN
    offset = len(set_state) + 5 + 5 + 2 + 1 + 5 + 2 + 1
    copy = b"\x63" + size + b"\x63" + offset.to_bytes(4, "big") + b"\x60\x00\x39" + b"\x63" + size + b"\x60\x00\xf3"
    return set_state + copy + runtime


def _entry(slot: int, key: str) -> int:
    """Where a mapping from addresses keeps an entry, as Vyper has it."""
    return int.from_bytes(keccak(slot.to_bytes(32, "big") + int(key, 16).to_bytes(32, "big")), "big")
