"""Extensions that come with Carillon, to be seen at work. Their manifests are in domain/demo_extensions.py."""
