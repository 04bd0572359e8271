"""The role jeeves-llm-gateway: gRPC in, an OpenAI-compatible provider out."""
