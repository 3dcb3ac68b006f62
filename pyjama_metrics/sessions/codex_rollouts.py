class Rollout:
    pass
