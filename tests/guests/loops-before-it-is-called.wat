;; Never finishes its start function, so it is never even called.
;; ends: Deadline "was not done after"
(module
  (memory (export "memory") 1)
  (func $begin (loop $again (br $again)))
  (start $begin)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func {export} (unreachable)))
