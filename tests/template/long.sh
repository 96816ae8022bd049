#!/bin/sh
# Every template of the tables and many seeds of generated ones against the real Jinja2:
#   tests/template/long.sh BUILD_DIR [FIRST_SEED [SEEDS [TEMPLATES_OF_EACH]]]
set -e
exec "${PYTHON:-python3}" "$(dirname "$0")/differential_test.py" "$1/tests/template/template_render_batch" \
    --seed "${2:-1}" --seeds "${3:-10}" --count "${4:-2000}"
