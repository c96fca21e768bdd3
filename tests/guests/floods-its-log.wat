;; Logs 60 KiB a line, for ever.
;; ends: Log "and was stopped"
(module
  (import "reeve:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func {export}
    (loop $again
      (call $log (i32.const 1) (i32.const 0) (i32.const 60000))
      (br $again))
    (unreachable)))
