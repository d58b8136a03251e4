"""The gate before traffic: is a version of a servable fit to take over from the current one?"""
