"""The admissible actions as a grammar over tokens, by which a server holds a model to our trie.

A choice between texts would not do: SmolLM2, held by vLLM 0.32 to the text "look", writes the three
tokens "l", "oo", "k". What is trained is a choice between the tokens of `Renderer.action`, so these
are what the grammar is made of (xgrammar's `Token(id)`, in 0.1.32 and later).
"""

from distill.trie import Node


def token_grammar(root: Node, end: int) -> str:
    """Return the grammar, in xgrammar's EBNF, of all ways through a trie.

    Args:
        root: of token sequences that close with the end token.
        end: that token; the server allows it where the grammar is complete, and only there.

    >>> from distill.trie import grow
    >>> token_grammar(grow([(7, 1, 0), (7, 1, 2, 0), (5, 0)]), 0)
    'root ::= Token(5) | Token(7) Token(1) ("" | Token(2))'
    """
    return f"root ::= {_ways(root, end)}"


def _ways(node: Node, end: int) -> str:
    return " | ".join(_way(token, node.after[token], end) for token in node.allowed)


def _way(token: int, node: Node, end: int) -> str:
    if token == end:
        return '""'
    words = [f"Token({token})"]
    while len(node.after) == 1:
        ((token, node),) = node.after.items()
        if token == end:
            return " ".join(words)
        words.append(f"Token({token})")
    return f"{' '.join(words)} ({_ways(node, end)})"
