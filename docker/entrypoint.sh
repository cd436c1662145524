#!/bin/sh
# One process of Concordat, in a container or outside: the demonstration on one machine starts its processes with this too.
#
#   entrypoint.sh migrate | web | worker | chain | node
#
# Everything else comes from the environment: CONCORDAT_* for the coordinator, CONCORDAT_NODE_HOME for a node.
set -eu
umask 077 # keys, databases and logs are nobody else's
python=${CONCORDAT_PYTHON:-python}
listen=${CONCORDAT_LISTEN:-127.0.0.1:8000}

case "${1:-}" in
migrate)
    exec "$python" manage.py migrate --no-input
    ;;
web)
    # Threads, not processes: SQLite has one writer, and the work here is waiting. Behind a proxy that ends TLS.
    "$python" manage.py collectstatic --no-input --verbosity 0
    exec "$python" -m gunicorn config.wsgi --bind "$listen" --worker-class gthread --threads 8 \
        --workers "${CONCORDAT_WEB_PROCESSES:-1}" --timeout 60 --graceful-timeout 10 \
        --worker-tmp-dir "${CONCORDAT_SHM:-/dev/shm}" --log-level warning \
        --no-control-socket
    ;;
worker)
    # -B: the clock that publishes the log, settles anchors and moves jobs on runs in this one worker.
    exec "$python" -m celery --app config worker --beat --queues coordinator --pool threads --concurrency 4 \
        --scheduler celery.beat:Scheduler --loglevel WARNING \
        --without-gossip --without-mingle --without-heartbeat
    ;;
chain)
    exec "$python" -m ledger.chain.devchain --state "${CONCORDAT_STATE:-var}/chain" \
        --port "${CONCORDAT_CHAIN_PORT:-8545}" --chain-id "${CONCORDAT_CHAIN_ID:-31338}" \
        ${CONCORDAT_CHAIN_FUND:+--fund "$CONCORDAT_CHAIN_FUND"}
    ;;
node)
    exec "$python" -m compute.node run --home "${CONCORDAT_NODE_HOME:?the node needs a home folder}"
    ;;
*)
    echo "usage: entrypoint.sh migrate | web | worker | chain | node" >&2
    exit 64
    ;;
esac
