# The front door: `just` lists what there is.

[private]
default:
    @just --list

# Start the server (http://127.0.0.1:8000), or run another subcommand: `just run config`
run *arguments="serve":
    cargo run --release -- {{ arguments }}

# Bring the database up to date
migrate:
    cargo run --release -- migrate

# Everything that must hold before a change lands; one step: `just test --only clippy`
test *arguments:
    ./scripts/test {{ arguments }}

# Format the code
fmt:
    cargo fmt --all

# Lint the code
lint:
    cargo clippy --workspace --all-targets -- -D warnings

# Build and open the documentation of the crates
doc:
    cargo doc --workspace --no-deps --open

# Write docs/openapi.json anew
openapi:
    cargo run --quiet -- openapi > docs/openapi.json.new
    mv docs/openapi.json.new docs/openapi.json

# Take the picture of /docs again
picture:
    SCREENSHOT="$PWD/docs/images/docs.png" ./scripts/test --only browser

# Measure MASS beside what it is compared with, into bench/RESULTS.md (an hour); `just bench --quick` tries it out
bench *arguments:
    ./bench/run {{ arguments }}

# Break what MASS stands on, under load (half an hour); one case: `just faults --only kill-mass`
faults *arguments:
    ./scripts/test --faults {{ arguments }}

# Serve steady load for 30 minutes, and look whether anything grows; longer: `just soak --minutes 480`
soak *arguments:
    cargo build --release --bin mass
    ./tests/faults/soak --binary target/release/mass {{ arguments }}

# Show how long log-ins are refused, for an unknown user and for a wrong password
login-timing *arguments:
    cargo run --release --example login-timing -- {{ arguments }}

# Build the container image
docker-build:
    docker build --file deploy/Dockerfile --build-arg MASS_COMMIT="$(git rev-parse --short=12 HEAD)" --tag mass .

# Start MASS and PostgreSQL in containers; settings: deploy/.env
compose-up:
    docker compose --file deploy/compose.yaml up --build
