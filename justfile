# What a developer runs; `./dev/setup test` installs what the recipes need, `just` itself included.

export PATH := justfile_directory() / ".venv/bin:" + env("PATH")

# every recipe
default:
    @just --list

# the BPF object
build:
    make -s -C bpf

# style, lint and types of everything
check: build
    ruff check
    ruff format --check
    mypy
    clang-format --dry-run -Werror bpf/*.[ch] bench/*.c tests/support/*.c

# mend what the tools can mend
format:
    ruff check --fix
    ruff format
    clang-format -i bpf/*.[ch] bench/*.c tests/support/*.c

# all checks and tests, as root
test *options:
    ./dev/test {{ options }}

# tests that need no root
unit *options: build
    pytest tests/unit {{ options }}

# what counting costs in two kinds of map, as root
bench-counters:
    python bench/counter_maps.py

# the wheel, with the BPF object inside, in dist/
wheel: build
    hatchling build -t wheel
