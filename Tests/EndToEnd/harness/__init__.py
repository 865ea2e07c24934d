"""The pieces that end-to-end tests are made of: a gateway, an origin, a client, tokens and key servers."""
