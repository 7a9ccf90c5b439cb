"""Servers on one machine that extracts are fetched from, for tests and for whoever wants to try: each module starts and stops one kind.

    python -m tools.servers sftp up FOLDER      OpenSSH's sshd; prints what a connection to it needs
    python -m tools.servers sftp down FOLDER    stops it; the folder stays

What is started lives in FOLDER alone and listens on 127.0.0.1, with keys and passwords that are written there in plain text: for trying out.
A kind has `up(folder)`, which gives something that prints itself, `down(folder)`, and `unavailable()`: why it cannot be had here, or nothing.
Does not belong here: how qala talks to them (connectors/sources).
"""
