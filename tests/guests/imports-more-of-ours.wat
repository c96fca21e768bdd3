;; Asks for an interface of our package that no plugin is given.
;; ends: Imports "reeve:plugin/secrets@0.1.0"
(component
  (import "reeve:plugin/secrets@0.1.0" (instance (export "read" (func)))))
