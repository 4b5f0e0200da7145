"""A player that a test can ask for anything: to count, to refuse, to die, to be silent."""

import os
import sys
import time

from environments.worlds.players.answering import answer


def main():
    done = []

    def act(action):
        done.append(action)
        sys.stdout.write("libraries print what they like\n")
        sys.stdout.flush()
        if action == "die":
            os.write(2, b"out of paper\n")
            os._exit(3)
        if action == "refuse":
            raise ValueError("not\nthat")
        if action == "sleep":
            time.sleep(60)
        return {"text": " ".join(done), "admissible": ["die", "go", "refuse", "sleep"]}

    def begin(game):
        done.clear()
        return act(game)

    answer(begin, act)


if __name__ == "__main__":
    main()
