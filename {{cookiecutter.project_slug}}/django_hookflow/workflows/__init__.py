"""The language of workflows: the decorator, the registry, the context."""
