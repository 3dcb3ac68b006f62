"""The live page: a server on this machine only, which shows the hub and pushes every change to whoever
looks.
"""
