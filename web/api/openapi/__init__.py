"""The description of the API (OpenAPI 3.1), made from its views: each declares beside itself what it takes and answers."""
