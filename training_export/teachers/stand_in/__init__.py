"""A small local server in place of Anthropic's and OpenAI's: ``python -m training_export.teachers.stand_in --port 0``.

It speaks both protocols, one by one and in batches, checks each request against the request types of the installed
SDKs, and answers what is computed from the request. It can be told to misbehave. For tests and for trying the pipeline
without a key; nothing leaves the machine.
"""
