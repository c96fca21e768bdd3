//! What is written of what was seen.
