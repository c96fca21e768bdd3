;; Asks for the file system.
;; ends: Imports "wasi:filesystem/types@0.2.6"
(component
  (import "wasi:filesystem/types@0.2.6" (instance (export "open" (func)))))
