//! Signed notes and checkpoints (C2SP signed-note and tlog-checkpoint).
