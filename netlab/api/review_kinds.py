"""Kinds that are only ever created, as questions, and never kept."""

from __future__ import annotations

from typing import ClassVar, Literal

from netlab.model.objects import KubernetesObject


class SelfSubjectAccessReview(KubernetesObject):
    """May I do that? `kubectl auth can-i`."""

    PLURAL: ClassVar[str] = "selfsubjectaccessreviews"
    NAMESPACED: ClassVar[bool] = False
    API_VERSION: ClassVar[str] = "authorization.k8s.io/v1"

    api_version: Literal["authorization.k8s.io/v1"] = "authorization.k8s.io/v1"
    kind: Literal["SelfSubjectAccessReview"] = "SelfSubjectAccessReview"


class SelfSubjectRulesReview(KubernetesObject):
    """What may I do? `kubectl auth can-i --list`."""

    PLURAL: ClassVar[str] = "selfsubjectrulesreviews"
    NAMESPACED: ClassVar[bool] = False
    API_VERSION: ClassVar[str] = "authorization.k8s.io/v1"

    api_version: Literal["authorization.k8s.io/v1"] = "authorization.k8s.io/v1"
    kind: Literal["SelfSubjectRulesReview"] = "SelfSubjectRulesReview"


class SelfSubjectReview(KubernetesObject):
    """Who am I? `kubectl auth whoami`."""

    PLURAL: ClassVar[str] = "selfsubjectreviews"
    NAMESPACED: ClassVar[bool] = False
    API_VERSION: ClassVar[str] = "authentication.k8s.io/v1"

    api_version: Literal["authentication.k8s.io/v1"] = "authentication.k8s.io/v1"
    kind: Literal["SelfSubjectReview"] = "SelfSubjectReview"


REVIEWS: tuple[type[KubernetesObject], ...] = (SelfSubjectReview, SelfSubjectAccessReview, SelfSubjectRulesReview)
