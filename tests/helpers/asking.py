"What a view sends to the browser."


def heard(view, what):
    "What the browser is sent when it asks."
    sent = []
    view.send = lambda message, buffers=None: sent.append((message, buffers))
    try: view._heard(None, dict(ask=3, what=what), [])
    finally: del view.send
    return sent[0]
