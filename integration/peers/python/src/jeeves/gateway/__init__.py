"""The role jeeves-gateway: HTTP in, the orchestrator asked over gRPC."""
