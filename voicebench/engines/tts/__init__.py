"""Voices computed in this process: text chunks to samples, window by window.

A text becomes samples in this order: `synthesizer` takes a text chunk, `piper` or `mms` turns it
into symbols, `vits.utterance` encodes them and plans frames for each window, `vits.native_voice`
or `vits.torch_voice` computes a window, and `opening_silence` trims the first ones.

A voice is loaded in this order: `finding` finds its files, `piper` or `mms` reads them with
`naming`, `voice` keeps the converted weights, and `fitting` chooses what computes them.
"""
