"""The most used models: selected, pinned, sized, downloaded, described (PTMTorrent's job)."""
