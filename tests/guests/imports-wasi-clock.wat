;; Asks for the time.
;; ends: Imports "wasi:clocks/wall-clock@0.2.6"
(component
  (import "wasi:clocks/wall-clock@0.2.6" (instance (export "open" (func)))))
