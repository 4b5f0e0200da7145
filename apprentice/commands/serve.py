"""`apprentice serve`: the promoted policy with its memory, for whoever speaks OpenAI's API."""

from agent.scripted import RandomPolicy
from apprentice.build import NO_KEY, make_policy, make_rig, now
from apprentice.serve.answering import Local, Upstream
from apprentice.serve.app import Counter, create_app
from apprentice.serve.listening import behind_token, listen, secret
from apprentice.serve.sessions import Place, Sessions
from apprentice.settings.config import Config


def serve_chat(config: Config, *, as_json: bool) -> None:
    """Serve until Ctrl-C; what is open then is kept as truncated."""
    key = config.endpoint.api_key.get_secret_value() or NO_KEY
    upstream = config.windows.upstream
    policy = RandomPolicy() if upstream else make_policy(config)  # an upstream is asked instead
    answers = Upstream(upstream, key, config.endpoint.timeout_s) if upstream else Local(policy)
    with make_rig(config, policy=policy) as rig:
        place = Place(
            store=rig.store,
            reminder=rig.reminder,
            environment=config.environment.name,
            policy=answers.name,
            temperature=None if upstream else policy.temperature,
            clock=now,
        )
        token = secret(config)
        app = behind_token(create_app(Counter(answers, Sessions(place), now)), token)
        said = f"/v1   (api key: {token})" if token else "/v1"
        listen(app, config, config.windows.serve_port, said, as_json=as_json)
