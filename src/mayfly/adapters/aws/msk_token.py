"""Who we are at a cluster of Amazon MSK: a request for `kafka-cluster:Connect`, signed and not sent.

As AWS's own signers for Kafka make it (https://github.com/aws/aws-msk-iam-sasl-signer-python): a presigned URL (of
Signature Version 4), in base64 for URLs without padding. The cluster checks the signature and then the policy.
"""

import time
from base64 import urlsafe_b64encode

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError
from botocore.session import Session

from mayfly import __version__
from mayfly.model.errors import Unavailable

LIFE_SECONDS = 900
"""The longest that a cluster believes one."""
_SERVICE = "kafka-cluster"
_ACTION = "kafka-cluster:Connect"


class MskToken:
    """Credentials are found as all of AWS's tools find them: environment, profile, role of the container or machine."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._session = Session()

    def __call__(self) -> tuple[str, float]:
        """A token, and the second since 1970 that it ends in.

        Raises:
            Unavailable: there are no credentials now.
        """
        try:
            credentials = self._session.get_credentials()
            if credentials is None:
                raise Unavailable("kafka_mechanism: no AWS credentials are found on this machine")
            # Roles' credentials are renewed by this call.
            frozen = credentials.get_frozen_credentials()
        except BotoCoreError as fault:
            raise Unavailable(f"kafka_mechanism: no AWS credentials can be had ({type(fault).__name__})") from None
        ends_at = time.time() + LIFE_SECONDS
        url = f"https://kafka.{self._region}.amazonaws.com/"
        request = AWSRequest(method="GET", url=url, params={"Action": _ACTION})
        SigV4QueryAuth(frozen, _SERVICE, self._region, expires=LIFE_SECONDS).add_auth(request)
        # Beside the signature, as AWS's signers have it: for its logs.
        signed = f"{request.url}&User-Agent=mayfly%2F{__version__}"
        return urlsafe_b64encode(signed.encode()).decode().rstrip("="), ends_at
