;; Logs bytes that are no UTF-8.
;; ends: Trap "utf-8"
(module
  (import "reeve:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "\ff\fe\c0\80")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func {export}
    (call $log (i32.const 1) (i32.const 64) (i32.const 4))
    (unreachable)))
