"""What a cache before the service would do: recorded uncached, judged, then put in its place."""
