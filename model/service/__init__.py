"""A team's service: one engine's worth of `model.worker` on each of several machines, for everybody's editors.

Ray Serve starts, routes, watches and scales; it is known to `application` alone. What is here is what it cannot know:
who may come in (`tokens`), how much each may ask (`quotas`), what a client and the service say to each other
(`conversation`), and which files an engine holds (`held_files`, `engine_host`).
"""
