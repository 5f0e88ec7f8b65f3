"""Processes of Loadpath's own, such as the load engine and the taps: started, told, asked, ended.

Nothing is imported here: the processes themselves want the codec alone, and start sooner without
asyncio.
"""
