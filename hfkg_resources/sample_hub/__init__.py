"""The sample Hub: an invented world with a past, and the HTTP server that answers for it."""
