"""Access logs as streams of requests: lines read, paths grouped, what a cache would have saved."""
