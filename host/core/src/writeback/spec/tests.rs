//! WriteBacks, as they are read.
