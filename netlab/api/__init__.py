"""The API server of a lab: objects in SQLite, list and watch over HTTP, and the controllers that complete them.

A request goes server -> cluster -> admission -> store; what the store writes, watchers see and controllers act upon.
"""
