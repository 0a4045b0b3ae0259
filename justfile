# What a developer runs; `./dev/setup test` installs what the recipes need, `just` itself included.

export PATH := justfile_directory() / ".venv/bin:" + env("PATH")

# every recipe
default:
    @just --list

# the BPF objects
build:
    make -s -C bpf

# style, lint and types of everything
check: build
    ruff check
    ruff format --check
    mypy
    PYTHONPATH=src lint-imports --no-cache
    clang-format --dry-run -Werror bpf/*.[ch] bench/*.[ch] tests/support/*/*.[ch]

# mend what the tools can mend
format:
    ruff check --fix
    ruff format
    clang-format -i bpf/*.[ch] bench/*.[ch] tests/support/*/*.[ch]

# what is made from code: the tables of docs/configuration.md, the dashboard
docs:
    python dev/configuration.py
    PYTHONPATH=dev python -W ignore::DeprecationWarning -m dashboard

# the README's pictures, from real traffic, as root
screenshots: build
    PYTHONPATH=tests:dev python dev/screenshots.py

# all checks and tests, as root
test *options:
    ./dev/test {{ options }}

# tests that need no root
unit *options: build
    pytest tests/unit {{ options }}

# mutated frames through the programs, as root: [SECONDS] [--frames N] [--seed N]
fuzz *options: build
    PYTHONPATH=src:tests python -W ignore dev/fuzz.py {{ options }}

# mutated files, messages and requests through what reads them: [--hypothesis-seed=N]
fuzz-inputs *options:
    pytest tests/unit -k hostile --hypothesis-profile fuzz {{ options }}

# kernel tests in other kernels, emulated, as root; without VERSIONS all, and docs/kernels.md
test-kernels *versions: build
    PYTHONPATH=tests:dev python -m kernels {{ versions }}

# pktexp on emulated cards and many CPUs, as root; without NAMES all, and docs/machines.md
test-machines *names: build
    PYTHONPATH=src:tests:dev python -m machines {{ names }}

# what the programs cost a packet, as root; like those after it fills docs/performance.md
bench-datapath *options: (bench "datapath" options)

# what counting by cgroup costs a packet at its socket, as root
bench-cgroups *options: (bench "cgroups" options)

# what pktexp keeps up with and what it costs, as root
bench-throughput *options: (bench "throughput" options)

# how long a scrape takes, as root
bench-scrape *options: (bench "scrape" options)

# the first scrape after many new flows, as root
bench-newflows *options: (bench "newflows" options)

# what a pod takes of memory and CPU, as root
bench-pod *options: (bench "pod" options)

# how long a start takes, and what an idle service costs, as root: [--against SRC]
bench-start *options: (bench "start" options)

# what the memory of a service is, as root
bench-memory *options: (bench "memory" options)

# what open pages cost a scrape, as root
bench-watching *options: (bench "watching" options)

# what attaching costs the traffic, as root
bench-impact *options: (bench "impact" options)

# what a dropped packet costs the machine, as root
bench-drops *options: (bench "drops" options)

# pktexp under everything at once for so many minutes, as root; fills docs/reliability.md
soak *options: (bench "soak" options)

# how long it takes to wait for running programs, as root
bench-grace *options: (bench "grace" options)

# what an idle machine with many CPUs costs, from arrays
bench-idle *options: (bench "idle" options)

# all of these in turn, as root; with --quick their tables side by side in docs/performance.md
bench-all *options: (bench "all" options)

# one program from several objects in turn, as root: MODE FLOWS OBJECT OBJECT...
bench-compare *options: (bench "compare" options)

[private]
bench name *options: build
    PYTHONPATH=src:tests:bench python bench/{{ name }}.py {{ options }}

# man pages and shell completions, below a folder that stands for /usr/share
extras folder:
    python dev/extras.py {{ folder }}

# the container image, by podman or $ENGINE; takes the options of its "build"
image *options:
    ./dev/image {{ options }}

# pin the newest Python packages, with hashes: those of the image, and those of developers
lock: (compile "deploy/container/requirements.lock" "--python-version 3.13 --extra kubernetes --no-emit-package pylibbpf --no-emit-package llvmlite") \
    (compile "dev/requirements.lock" "--python-version 3.11 --all-extras --group dev")

[private]
compile file options:
    uv pip compile pyproject.toml {{ options }} --upgrade --universal --generate-hashes --no-build \
        --custom-compile-command "just lock" --quiet --output-file {{ file }}

# whether the image's Python packages have known vulnerabilities; takes the options of pip-audit
audit *options:
    pip-audit --strict --require-hashes --disable-pip --progress-spinner off \
        --requirement deploy/container/requirements.lock {{ options }}

# what Python packages the image has, with their hashes, as CycloneDX (JSON)
sbom file="dist/pktexp.cdx.json":
    mkdir -p "$(dirname {{ file }})"
    python -W ignore::UserWarning -m cyclonedx_py requirements --pyproject pyproject.toml \
        --output-reproducible --output-file {{ file }} deploy/container/requirements.lock

# the wheel, with the BPF objects inside, in dist/
wheel: build
    hatchling build -t wheel

# the Debian package, for the python3 of the Debian or Ubuntu here, in dist/
deb: build
    packaging/deb
