"""From text to syntax tree and back: grammar, bars, formatter."""
