"""The game of tests/openenv_server.py, on a server of our own that says what OpenEnv's says."""

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

CARDS = ["ace", "jack", "king", "queen"]


def seen(shown, cards=(), reward=None, *, done=False):
    observation = {"metadata": {}, "shown": shown, "cards": list(cards)}
    return {
        "type": "observation",
        "data": {"observation": observation, "reward": reward, "done": done},
    }


def error(code, message):
    return {"type": "error", "data": {"message": message, "code": code}}


class Cards:
    """The game, as answers on the wire; there are four openings at each table."""

    def __init__(self, tables):
        self.tables = tables

    def answer(self, asked):
        data = asked["data"]
        if asked["type"] == "reset":
            self.card, self.tries = CARDS[data["seed"] % 4], 0
            row = " ".join(f"*{each}*" if each == self.card else each for each in CARDS)
            greeting = data.get("greeting", "table")
            return seen(f"{greeting} {data['seed'] // 4 % self.tables}: {row}", CARDS)
        if not isinstance(data.get("card"), str):
            return error("VALIDATION_ERROR", "card has to be a string")
        self.tries += 1
        if data["card"] == self.card:
            return seen("yes", reward=1.0, done=True)
        return seen("no", CARDS, 0.0, done=self.tries == 2)


def cards_app(most=3, tables=3):
    """Return a server of the game that lets so many in at once, and has so many tables."""
    app, inside = FastAPI(), []

    @app.get("/schema")
    def schema():
        fields = {"metadata": {"type": "object"}, "card": {"type": "string"}}
        return {"action": {"properties": fields}}

    @app.get("/metadata")
    def metadata():
        return {"name": "Cards", "description": "Name the card that is marked."}

    @app.websocket("/ws")
    async def ws(websocket: WebSocket):
        await websocket.accept()
        if len(inside) == most:
            await websocket.send_json(error("CAPACITY_REACHED", f"{most} sessions are all"))
            return
        inside.append(websocket)
        game = Cards(tables)
        try:
            while True:
                await websocket.send_json(game.answer(await websocket.receive_json()))
        except WebSocketDisconnect:
            inside.remove(websocket)

    return app
