// Flux's definitions of sources are taken out of the module, and nothing of it is built: every version that the module proxy has
// requires github.com/fluxcd/pkg/artifact, which it does not have. This file pins it.
module reeve.dev/tests/cluster/source-controller

go 1.26.0

require github.com/fluxcd/source-controller v1.9.5
