"""A snapshot in the formats that other people's tools read, one asset per format."""
