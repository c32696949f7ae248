"""How just-distribute compares with its peers, and with the limits it sets itself.

::

    rows ──(function, inputs, ours, peers with limits)──▶ measure ──(turns)──▶ test_rows ──(JSON)──▶ report ──▶ README.md
      ▲ ▲ ▲                                                                        ▲
      │ │ └─ work     the functions that are called                                └─ __main__, a process for each row
      │ └─── peers    ours and theirs, warm and ready to call
      └───── places   what must run beside them: a Ray, a server
"""
