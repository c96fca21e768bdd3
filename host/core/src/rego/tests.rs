//! The wall around regorus, and the policies we ship against their own tests and cases.
use super::*;
