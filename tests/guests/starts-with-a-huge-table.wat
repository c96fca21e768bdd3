;; Has a table of ten million elements to begin with.
;; ends: Compile "table"
(module
  (memory (export "memory") 1)
  (table 10000000 funcref)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func {export} (unreachable)))
