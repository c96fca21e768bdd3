//! What is left alone of objects that others have changed.
