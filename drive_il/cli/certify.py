"""drive-il certify: what theory promises of a policy, and what the road shows."""

from __future__ import annotations

from typing import Annotated

import tyro

from drive_il.experiments import certify as certificates


def certify(config: Annotated[certificates.Config, tyro.conf.arg(name="")]) -> None:
    """Makes the certificate of compounding error of a policy: certificate.json and one page.

        drive-il certify expert --routes routes/birch_test.xml
        drive-il certify models/bc --routes routes/birch_test.xml --out runs/certificate-bc
        drive-il certify --agent my_agent.py --routes routes/birch_test.xml

    Lets it drive and answer beside the expert, forks the world where it errs, and sets J(T), both
    eps, u, k, C and the growth exponent beside every bound. Interrupted and run again, it goes on
    where it was; the same seed gives the same numbers. How to read it: docs/certificates.md.

    Args:
        config: what to do.
    """
    certificates.certify(config)
