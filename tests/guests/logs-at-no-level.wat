;; Logs at a level that does not exist.
;; ends: Trap "discriminant"
(module
  (import "reeve:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func {export}
    (call $log (i32.const 77) (i32.const 0) (i32.const 1))
    (unreachable)))
