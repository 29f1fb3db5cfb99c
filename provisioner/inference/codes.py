"""Codes of the problems of calling a deployed model."""

from __future__ import annotations

from typing import Final

from provisioner.errors import Who, define

BAD_PARAMETER: Final = define(
    "inference.bad-parameter",
    "a parameter cannot be sent",
    "A parameter is out of its range, or does not go together with another one. Nothing was sent.",
    Who.OPERATOR,
)
UNWISE: Final = define(
    "inference.unwise-parameters",
    "parameters that work against each other",
    "The request can be sent, but the combination seldom does what was meant.",
    Who.OPERATOR,
)
BAD_IMAGE: Final = define(
    "inference.bad-image",
    "the image cannot be sent",
    "The image is no PNG, JPEG, GIF or WebP, is too large, or is not a file or data: URL. Images "
    "are never fetched from elsewhere.",
    Who.OPERATOR,
)
NO_SNIPPET: Final = define(
    "inference.no-snippet",
    "the client cannot make this call",
    "The client library has no function for this API.",
    Who.OPERATOR,
)
INSECURE: Final = define(
    "inference.insecure",
    "the model's address is not https",
    "The key would travel in the clear, so nothing was sent.",
    Who.AZURE,
)
NO_KEY: Final = define(
    "inference.no-key",
    "no key to call with",
    "Azure answered without a key for this endpoint.",
    Who.AZURE,
)
UNREACHABLE: Final = define(
    "inference.unreachable",
    "the model's address cannot be reached",
    "No connection came about: the name, the network, a proxy or a firewall is in the way.",
    Who.OPERATOR,
)
UNTRUSTED: Final = define(
    "inference.untrusted",
    "the certificate is not trusted",
    "The endpoint's certificate was signed by nobody that this machine trusts, so nothing was "
    "sent.",
    Who.OPERATOR,
)
TIMED_OUT: Final = define(
    "inference.timed-out",
    "the model took too long",
    "Nothing came from the model for longer than the time limit.",
    Who.OPERATOR,
)
UNAUTHORIZED: Final = define(
    "inference.unauthorized",
    "the endpoint refuses the key",
    "The key is not, or not yet, or no longer one of this endpoint's.",
    Who.OPERATOR,
)
NOT_SERVED: Final = define(
    "inference.not-served",
    "nothing answers at that path",
    "The endpoint has no deployment that serves this API: the model has another task, no "
    "deployment has traffic, or the endpoint is gone.",
    Who.OPERATOR,
)
FILTERED: Final = define(
    "inference.filtered",
    "blocked by content safety",
    "Azure AI Content Safety found the prompt or the answer harmful and withheld it.",
    Who.OPERATOR,
)
TOO_LONG: Final = define(
    "inference.too-long",
    "more than the model's context",
    "The prompt and max_tokens together exceed what the model can attend to, or the request "
    "exceeds what the service takes.",
    Who.OPERATOR,
)
REFUSED: Final = define(
    "inference.refused",
    "the model's API refuses the request",
    "The service understood the request and will not take it as it is.",
    Who.OPERATOR,
)
THROTTLED: Final = define(
    "inference.throttled",
    "the rate limit is reached",
    "The deployment's tokens or requests per minute are used up.",
    Who.OPERATOR,
)
MODEL_FAILED: Final = define(
    "inference.model-failed",
    "the model behind the endpoint failed",
    "The endpoint let the request in, but the deployment behind it gave no usable answer.",
    Who.WORKSPACE_OWNER,
)
UNAVAILABLE: Final = define(
    "inference.unavailable",
    "the endpoint cannot answer now",
    "The service is not ready, overloaded or failing.",
    Who.AZURE,
)
UNINTELLIGIBLE: Final = define(
    "inference.unintelligible",
    "the answer is not the API's",
    "Something answered, but not in the words of this API.",
    Who.AZURE,
)
CUT_OFF: Final = define(
    "inference.cut-off",
    "the answer ended early",
    "The connection ended before the answer was complete.",
    Who.AZURE,
)
